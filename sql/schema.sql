-- Everything that goscope-postgres stores, for `createTables: false`: run this as the tables' owner, in the schema where
-- the application's search_path finds them. It may be run again, and leaves alone what is there.
--
-- `TIMESTAMP` columns hold UTC. The table of a PostgresCacheAdapter is in cache-table.sql, the rights in role.sql.

CREATE TABLE IF NOT EXISTS go_goscope_locks (
  key        TEXT PRIMARY KEY,          -- ${keyPrefix}lock:${key}
  owner      TEXT NOT NULL,             -- as given to acquire(), or the UUID it drew
  expires_at TIMESTAMP NOT NULL         -- the lease's end by the server's clock; written by acquire and extend
);
CREATE INDEX IF NOT EXISTS idx_locks_expires ON go_goscope_locks (expires_at);

CREATE TABLE IF NOT EXISTS go_goscope_circuit (
  key               TEXT PRIMARY KEY,   -- ${keyPrefix}circuit:${key}
  state             TEXT NOT NULL,      -- closed, open or half-open
  failure_count     INTEGER NOT NULL DEFAULT 0,
  last_failure_time TIMESTAMP,          -- the server's time in recordFailure, the caller's in setState
  last_success_time TIMESTAMP,
  updated_at        TIMESTAMP NOT NULL DEFAULT NOW()
);
CREATE INDEX IF NOT EXISTS idx_circuit_updated ON go_goscope_circuit (updated_at);

CREATE TABLE IF NOT EXISTS go_goscope_cache (
  key         TEXT PRIMARY KEY,         -- ${keyPrefix}cache:${key}
  value       JSONB NOT NULL,
  expires_at  TIMESTAMP,                -- NULL: never
  accessed_at TIMESTAMP DEFAULT NOW()   -- the last set(); reads write nothing
);
CREATE INDEX IF NOT EXISTS idx_cache_expires ON go_goscope_cache (expires_at);

CREATE TABLE IF NOT EXISTS go_goscope_checkpoints (
  id                       TEXT PRIMARY KEY,            -- ${keyPrefix}${id}
  task_id                  TEXT NOT NULL,               -- ${keyPrefix}${taskId}
  sequence                 BIGINT NOT NULL,
  timestamp                BIGINT NOT NULL,             -- ms since the epoch, the caller's
  progress                 DOUBLE PRECISION NOT NULL DEFAULT 0,
  data                     JSONB NOT NULL,
  estimated_time_remaining BIGINT,                      -- ms
  created_at               TIMESTAMP DEFAULT NOW()
);
CREATE INDEX IF NOT EXISTS idx_checkpoints_task ON go_goscope_checkpoints (task_id, sequence);

CREATE TABLE IF NOT EXISTS go_goscope_idempotency (
  key        TEXT PRIMARY KEY,                          -- ${keyPrefix}${key}
  value      JSONB NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE,                  -- NULL: never
  created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS idx_idempotency_expires ON go_goscope_idempotency (expires_at) WHERE expires_at IS NOT NULL;
