-- The documented schema: what `connect()` creates where it is missing. Tables that exist with other widths, integer
-- types or TIMESTAMPTZ columns are used as they are. `TIMESTAMP` columns hold UTC.
--
-- `{table}` is the quoted name; sections are read by `schema.rs`.

-- section: locks
CREATE TABLE {table} (
  key        TEXT PRIMARY KEY,          -- ${keyPrefix}lock:${key}
  owner      TEXT NOT NULL,             -- as given to acquire(), or the UUID it drew
  expires_at TIMESTAMP NOT NULL         -- the lease's end by the server's clock; written by acquire and extend
);

-- section: circuits
CREATE TABLE {table} (
  key               TEXT PRIMARY KEY,   -- ${keyPrefix}circuit:${key}
  state             TEXT NOT NULL,      -- closed, open or half-open
  failure_count     INTEGER NOT NULL DEFAULT 0,
  last_failure_time TIMESTAMP,          -- the server's time in recordFailure, the caller's in setState
  last_success_time TIMESTAMP,
  updated_at        TIMESTAMP NOT NULL DEFAULT NOW()
);

-- section: cache
CREATE TABLE {table} (
  key         TEXT PRIMARY KEY,         -- ${keyPrefix}cache:${key}
  value       JSONB NOT NULL,
  expires_at  TIMESTAMP,                -- NULL: never
  accessed_at TIMESTAMP DEFAULT NOW()   -- the last set(); reads write nothing
);

-- section: cache table
CREATE TABLE {table} (
  key         TEXT PRIMARY KEY,         -- ${keyPrefix}${key}
  value       JSONB NOT NULL,
  expires_at  TIMESTAMP,                -- NULL: never
  created_at  TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  accessed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);

-- section: checkpoints
CREATE TABLE {table} (
  id                       TEXT PRIMARY KEY,            -- ${keyPrefix}${id}
  task_id                  TEXT NOT NULL,               -- ${keyPrefix}${taskId}
  sequence                 BIGINT NOT NULL,
  timestamp                BIGINT NOT NULL,             -- ms since the epoch, the caller's
  progress                 DOUBLE PRECISION NOT NULL DEFAULT 0,
  data                     JSONB NOT NULL,
  estimated_time_remaining BIGINT,                      -- ms
  created_at               TIMESTAMP DEFAULT NOW()
);

-- section: idempotency
CREATE TABLE {table} (
  key        TEXT PRIMARY KEY,                          -- ${keyPrefix}${key}
  value      JSONB NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE,                  -- NULL: never
  created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP
);
