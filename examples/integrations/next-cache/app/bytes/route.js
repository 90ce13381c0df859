import { randomBytes } from 'node:crypto'

export const dynamic = 'force-static'

export const GET = () => new Response(randomBytes(256), { headers: { 'content-type': 'application/octet-stream' } })
