// The interfaces of go-go-scope that an adapter must satisfy, as its documentation gives them: written down here, so
// that the types can be checked without installing it.

export interface LockHandle {
  release(): Promise<void>
  extend(ttl: number): Promise<boolean>
  isValid(): Promise<boolean>
}

export interface LockProvider {
  acquire(key: string, ttl: number, owner?: string): Promise<LockHandle | null>
  extend(key: string, ttl: number, owner: string): Promise<boolean>
  forceRelease(key: string): Promise<void>
}

export interface CircuitBreakerPersistedState {
  state: 'closed' | 'open' | 'half-open'
  failureCount: number
  lastFailureTime?: number
  lastSuccessTime?: number
}

export interface CircuitBreakerStateProvider {
  getState(key: string): Promise<CircuitBreakerPersistedState | null>
  setState(key: string, state: CircuitBreakerPersistedState): Promise<void>
  recordFailure(key: string, maxFailures: number): Promise<number>
  recordSuccess(key: string): Promise<void>
  subscribe?(key: string, callback: (state: CircuitBreakerPersistedState) => void): () => void
}

export interface CacheProvider {
  get<T>(key: string): Promise<T | null>
  set<T>(key: string, value: T, ttl?: number): Promise<void>
  delete(key: string): Promise<void>
  has(key: string): Promise<boolean>
  clear(): Promise<void>
  keys(pattern?: string): Promise<string[]>
}

export interface Checkpoint<T = unknown> {
  id: string
  taskId: string
  sequence: number
  timestamp: number
  progress: number
  data: T
  estimatedTimeRemaining?: number
}

export interface CheckpointProvider {
  save<T>(checkpoint: Checkpoint<T>): Promise<void>
  load<T>(id: string): Promise<Checkpoint<T> | undefined>
  loadLatest<T>(taskId: string): Promise<Checkpoint<T> | undefined>
  list(taskId: string): Promise<Checkpoint<unknown>[]>
  cleanup(taskId: string, keepCount: number): Promise<void>
  deleteAll(taskId: string): Promise<void>
}

export interface IdempotencyProvider {
  get<T>(key: string): Promise<{ value: T; expiresAt?: number } | null>
  set<T>(key: string, value: T, ttl?: number): Promise<void>
  delete(key: string): Promise<void>
}

export interface PersistenceProviders {
  lock?: LockProvider
  circuitBreaker?: CircuitBreakerStateProvider
  cache?: CacheProvider
  idempotency?: IdempotencyProvider
  checkpoint?: CheckpointProvider
}

export interface PersistenceAdapter {
  connect?(): Promise<void>
  disconnect?(): Promise<void>
  isConnected?(): boolean
}
