import { randomUUID } from 'node:crypto'

// In seconds.
export const revalidate = 1

export default function Page() {
  return <p>{randomUUID()}</p>
}
