import { randomUUID } from 'node:crypto'
import { unstable_cache } from 'next/cache'

const quoteOf = unstable_cache(async () => randomUUID(), ['quote'], { tags: ['quotes'] })

export default async function Page() {
  return <p>{await quoteOf()}</p>
}
