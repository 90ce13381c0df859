-- The documented schema, once: connect() makes it, and the command and the files of `sql/` have it for migrations. Tables
-- that exist with other widths, integer types or TIMESTAMPTZ columns are used as they are. `TIMESTAMP` columns hold UTC.
--
-- An object begins at its line `-- @kind name of its tables`, which `src/store/source.rs` and `cli/source.js` read. A table
-- has its columns one per line. An index is all in its line; without a name, the server picks one.
--
-- `{table}` is the quoted name, with its schema if necessary; `{unlogged}` and `{unless_exists}` are empty or the words for
-- that. In comments, <keyPrefix> and <key> are what the application gives.

-- @table go_goscope_locks
CREATE {unlogged}TABLE {unless_exists}{table} (
  key        TEXT PRIMARY KEY,          -- <keyPrefix>lock:<key>
  owner      TEXT NOT NULL,             -- as given to acquire(), or the UUID it drew
  expires_at TIMESTAMP NOT NULL         -- the lease's end by the server's clock; written by acquire and extend
);
-- @index idx_locks_expires of go_goscope_locks on (expires_at)

-- @table go_goscope_circuit
CREATE {unlogged}TABLE {unless_exists}{table} (
  key               TEXT PRIMARY KEY,   -- <keyPrefix>circuit:<key>
  state             TEXT NOT NULL,      -- closed, open or half-open
  failure_count     INTEGER NOT NULL DEFAULT 0,
  last_failure_time TIMESTAMP,          -- the server's time in recordFailure, the caller's in setState
  last_success_time TIMESTAMP,
  updated_at        TIMESTAMP NOT NULL DEFAULT NOW()
);
-- @index idx_circuit_updated of go_goscope_circuit on (updated_at)

-- @table go_goscope_cache
CREATE {unlogged}TABLE {unless_exists}{table} (
  key         TEXT PRIMARY KEY,         -- <keyPrefix>cache:<key>
  value       JSONB NOT NULL,
  expires_at  TIMESTAMP,                -- NULL: never
  accessed_at TIMESTAMP DEFAULT NOW()   -- the last set(); reads write nothing
);
-- @index idx_cache_expires of go_goscope_cache on (expires_at)

-- @table go_goscope_checkpoints
CREATE {unlogged}TABLE {unless_exists}{table} (
  id                       TEXT PRIMARY KEY,            -- <keyPrefix><id>
  task_id                  TEXT NOT NULL,               -- <keyPrefix><taskId>
  sequence                 BIGINT NOT NULL,
  timestamp                BIGINT NOT NULL,             -- ms since the epoch, the caller's
  progress                 DOUBLE PRECISION NOT NULL DEFAULT 0,
  data                     JSONB NOT NULL,
  estimated_time_remaining BIGINT,                      -- ms
  created_at               TIMESTAMP DEFAULT NOW()
);
-- @index idx_checkpoints_task of go_goscope_checkpoints on (task_id, sequence)

-- @table go_goscope_idempotency
CREATE {unlogged}TABLE {unless_exists}{table} (
  key        TEXT PRIMARY KEY,                          -- <keyPrefix><key>
  value      JSONB NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE,                  -- NULL: never
  created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP
);
-- @index idx_idempotency_expires of go_goscope_idempotency on (expires_at) WHERE expires_at IS NOT NULL

-- @table cache
CREATE {unlogged}TABLE {unless_exists}{table} (
  key         TEXT PRIMARY KEY,         -- <keyPrefix><key>
  value       JSONB NOT NULL,
  expires_at  TIMESTAMP,                -- NULL: never
  created_at  TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
  accessed_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
);
-- @index of cache on (expires_at) WHERE expires_at IS NOT NULL
