// A persistence layer for the idempotency utility of Powertools for AWS Lambda.

import {
  IdempotencyItemAlreadyExistsError,
  IdempotencyItemNotFoundError,
  IdempotencyRecordStatus,
} from '@aws-lambda-powertools/idempotency'
import { BasePersistenceLayer, IdempotencyRecord } from '@aws-lambda-powertools/idempotency/persistence'

export class PostgresPersistenceLayer extends BasePersistenceLayer {
  #cache

  /** @param {import('goscope-postgres').PostgresCacheAdapter} cache */
  constructor(cache) {
    super()
    this.#cache = cache
  }

  async _getRecord(key) {
    const found = await this.#cache.get(key)
    if (!found) throw new IdempotencyItemNotFoundError(`There is no record ${key}`)
    return new IdempotencyRecord(found)
  }

  // Of several invocations, one stores its record: if there is none, or the one that is there belongs to an invocation whose time
  // is over.
  async _putRecord(record) {
    let expected
    while (!(await this.#cache.compareAndSet(record.idempotencyKey, expected, fieldsOf(record), timeLeft(record)))) {
      expected = (await this.#cache.get(record.idempotencyKey)) ?? undefined
      if (expected && !isAbandoned(expected)) {
        throw new IdempotencyItemAlreadyExistsError('It has been invoked already', new IdempotencyRecord(expected))
      }
    }
  }

  async _updateRecord(record) {
    await this.#cache.set(record.idempotencyKey, fieldsOf(record), timeLeft(record))
  }

  async _deleteRecord(record) {
    await this.#cache.delete(record.idempotencyKey)
  }
}

const fieldsOf = ({
  idempotencyKey,
  expiryTimestamp,
  inProgressExpiryTimestamp,
  responseData,
  payloadHash,
  status,
}) => ({
  ...{ idempotencyKey, expiryTimestamp, inProgressExpiryTimestamp, responseData, payloadHash, status },
})

/** In ms, from the end in seconds since the epoch. */
const timeLeft = ({ expiryTimestamp }) => Math.max(expiryTimestamp * 1_000 - Date.now(), 1)

const isAbandoned = ({ status, inProgressExpiryTimestamp }) =>
  status === IdempotencyRecordStatus.INPROGRESS && inProgressExpiryTimestamp < Date.now()
