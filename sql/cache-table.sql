-- The table of a PostgresCacheAdapter with `tableName: 'cache'`, for `createTables: false`. For another, replace the name.

CREATE TABLE IF NOT EXISTS cache (
  key         TEXT PRIMARY KEY,         -- <keyPrefix><key>
  value       JSONB NOT NULL,
  expires_at  TIMESTAMP,                -- NULL: never
  created_at  TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  accessed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
DO $do$
BEGIN
  -- Without a name: index names are the schema's, and every such table has one.
  IF NOT EXISTS (SELECT FROM pg_index WHERE indrelid = 'cache'::regclass AND NOT indisprimary) THEN
    CREATE INDEX ON cache (expires_at) WHERE expires_at IS NOT NULL;
  END IF;
END $do$;
