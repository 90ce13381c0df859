-- Everything that goscope-postgres stores, for `createTables: false`: run this as the tables' owner, in the schema where
-- the application's search_path finds them. It may be run again, and leaves alone what is there.
--
-- `TIMESTAMP` columns hold UTC. In the comments on keys, <keyPrefix> and <key> are what the application gives. The table of a
-- PostgresCacheAdapter is in cache-table.sql, the rights in role.sql.

CREATE TABLE IF NOT EXISTS go_goscope_locks (
  key        TEXT PRIMARY KEY,          -- <keyPrefix>lock:<key>
  owner      TEXT NOT NULL,             -- as given to acquire(), or the UUID it drew
  expires_at TIMESTAMP NOT NULL         -- the lease's end by the server's clock; written by acquire and extend
);
CREATE INDEX IF NOT EXISTS idx_locks_expires ON go_goscope_locks (expires_at);

CREATE TABLE IF NOT EXISTS go_goscope_circuit (
  key               TEXT PRIMARY KEY,   -- <keyPrefix>circuit:<key>
  state             TEXT NOT NULL,      -- closed, open or half-open
  failure_count     INTEGER NOT NULL DEFAULT 0,
  last_failure_time TIMESTAMP,          -- the server's time in recordFailure, the caller's in setState
  last_success_time TIMESTAMP,
  updated_at        TIMESTAMP NOT NULL DEFAULT NOW()
);
CREATE INDEX IF NOT EXISTS idx_circuit_updated ON go_goscope_circuit (updated_at);

CREATE TABLE IF NOT EXISTS go_goscope_cache (
  key         TEXT PRIMARY KEY,         -- <keyPrefix>cache:<key>
  value       JSONB NOT NULL,
  expires_at  TIMESTAMP,                -- NULL: never
  accessed_at TIMESTAMP DEFAULT NOW()   -- the last set(); reads write nothing
);
CREATE INDEX IF NOT EXISTS idx_cache_expires ON go_goscope_cache (expires_at);

CREATE TABLE IF NOT EXISTS go_goscope_checkpoints (
  id                       TEXT PRIMARY KEY,            -- <keyPrefix><id>
  task_id                  TEXT NOT NULL,               -- <keyPrefix><taskId>
  sequence                 BIGINT NOT NULL,
  timestamp                BIGINT NOT NULL,             -- ms since the epoch, the caller's
  progress                 DOUBLE PRECISION NOT NULL DEFAULT 0,
  data                     JSONB NOT NULL,
  estimated_time_remaining BIGINT,                      -- ms
  created_at               TIMESTAMP DEFAULT NOW()
);
CREATE INDEX IF NOT EXISTS idx_checkpoints_task ON go_goscope_checkpoints (task_id, sequence);

CREATE TABLE IF NOT EXISTS go_goscope_idempotency (
  key        TEXT PRIMARY KEY,                          -- <keyPrefix><key>
  value      JSONB NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE,                  -- NULL: never
  created_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMP WITH TIME ZONE DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX IF NOT EXISTS idx_idempotency_expires ON go_goscope_idempotency (expires_at) WHERE expires_at IS NOT NULL;

-- What follows is beyond the documented schema: fencing tokens for locks, and notifications for waiters and subscribers.
-- Everything documented works without it, and the pg-based adapter, which knows nothing of it, is not affected.
--
-- The functions run with the rights of the role that writes or calls them, on a search path of their own.

-- A function of one of these names that another role owns would stay that role's, which could change it later. The
-- migration stops at such a function, and says what to do.
DO $guard$
DECLARE
  theirs text;
BEGIN
  SELECT string_agg(format('%s, which %I owns', oid::regprocedure, pg_get_userbyid(proowner)), '; ') INTO theirs
    FROM pg_proc
   WHERE pronamespace = current_schema()::regnamespace AND starts_with(proname::text, 'go_goscope_')
     AND proowner <> 10 AND pg_get_userbyid(proowner) <> current_user
     AND proowner NOT IN (SELECT relowner FROM pg_class
                           WHERE relnamespace = pronamespace AND relname IN ('go_goscope_locks', 'go_goscope_circuit'));
  IF theirs <> '' THEN
    RAISE EXCEPTION 'functions of another role have the names of these: %', theirs
      USING HINT = 'Find out who made them. Then drop them, or make the owner of the tables their owner, and run this again.';
  END IF;
END $guard$;

-- Notifies subscribers that something has happened to a row: `<schema>.<table>:<the stored key>`.
CREATE OR REPLACE FUNCTION go_goscope_notify() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
-- goscope-postgres additions 4
DECLARE
  -- By the row as a whole: a session keeps its plans, and NEW.key fails in them when the column's type has been changed.
  changed CONSTANT jsonb := CASE TG_OP WHEN 'DELETE' THEN to_jsonb(OLD) ELSE to_jsonb(NEW) END;
  -- Names as they are: how they are quoted depends on the writer's settings.
  notice text := format('%s.%s:%s', TG_TABLE_SCHEMA, TG_TABLE_NAME, changed ->> 'key');
  -- Of a partition: the table that it belongs to, which is the one that subscribers know.
  root CONSTANT regclass := pg_partition_root(TG_RELID);
BEGIN
  IF root IS NOT NULL THEN
    SELECT format('%s.%s:%s', nspname, relname, changed ->> 'key') INTO notice
      FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = root;
  END IF;
  -- Beyond that the server refuses it, and the write must not fail for that. No key of ours is as long.
  IF octet_length(notice) < 8000 THEN
    PERFORM pg_notify('go_goscope', notice);
  END IF;
  RETURN NULL;
END $$;

-- The number that acquire drew for the holder; NULL if the holder took the lock without one. Of a fencing token it is
-- the upper part less the lower (see go_goscope_check_fencing_token).
ALTER TABLE go_goscope_locks ADD COLUMN IF NOT EXISTS fencing_token BIGINT;

-- The owner that it was drawn for: software without tokens that takes the lock over must not inherit the last holder's.
ALTER TABLE go_goscope_locks ADD COLUMN IF NOT EXISTS fencing_owner TEXT;

-- An id of the call of acquire that took the lock, if it was told not to re-enter: it knows its own lock by that if its answer
-- was lost. NULL if another call has taken it.
ALTER TABLE go_goscope_locks ADD COLUMN IF NOT EXISTS acquisition TEXT;

-- CACHE 1, the default: sessions that draw ahead would not draw in the order in which they hold.
CREATE SEQUENCE IF NOT EXISTS go_goscope_locks_fencing_token_seq;
ALTER SEQUENCE go_goscope_locks_fencing_token_seq OWNED BY go_goscope_locks.fencing_token;

-- For the application's own transaction, before it writes: raises GF001 unless the lock is held with this token. Until
-- the transaction ends, no process takes the lock over, releases it or sweeps it away, even if its lease runs out:
-- all of these wait for FOR KEY SHARE. An extension does not.
--
-- Its table is named with the schema, so that a temporary table of that name forges no token.
DO $do$
BEGIN
  EXECUTE replace($sql$
CREATE OR REPLACE FUNCTION {schema}go_goscope_check_fencing_token(key text, token bigint, key_prefix text DEFAULT '')
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
-- goscope-postgres additions 4
DECLARE
  -- The row has what was drawn before it was in place; the token has how many were drawn from then until it was.
  drawn CONSTANT bigint := (token >> 12) - (token & 4095);
  -- A key that does not fit, or a prefix, is stored as a digest behind a mark.
  digests CONSTANT text[] := ARRAY(
    SELECT chr(1) || '#' || translate(encode(sha256(convert_to(given, 'UTF8')), 'base64'), '+/=', '-_')
      FROM unnest(ARRAY[key_prefix, key]) WITH ORDINALITY AS plain (given, place) ORDER BY place);
  stored CONSTANT text[] := ARRAY(
    SELECT prefix || 'lock:' || name
      FROM unnest(ARRAY[key_prefix, digests[1]]) AS prefix, unnest(ARRAY[key, digests[2]]) AS name);
BEGIN
  PERFORM FROM {schema}go_goscope_locks AS lock
    WHERE lock.key = ANY (stored) AND lock.fencing_token = drawn AND lock.fencing_owner = lock.owner
      -- In seconds since the epoch: these are the same for a TIMESTAMP that holds UTC and for a TIMESTAMPTZ.
      AND extract(epoch FROM lock.expires_at) > extract(epoch FROM clock_timestamp())
    FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the lock "%" is not held with fencing token %', key, token
      USING ERRCODE = 'GF001',
            DETAIL = 'Its lease has run out, or another holder has taken the lock since.',
            HINT = 'Roll back, and do the work again under a lock that was newly acquired.';
  END IF;
END $$;
$sql$, '{schema}', quote_ident(current_schema()) || '.');
END $do$;

-- Whether the lock has waiters; only then its release sends a notification.
--
-- Versions before this column mark `awaited`, and their trigger is `go_goscope_released`. A table that has those keeps
-- them unchanged, so processes of both versions can run side by side:
--
-- 1. A release is the DELETE of the row, by any process. Each column has a trigger of its own, so a release notifies
--    the waiters that have marked either. If both are marked, the server sends one notification, since the two are
--    equal.
-- 2. A takeover of an expired lease clears the mark of the version that takes the lock over. A mark of the other
--    version that stays costs a notification at the next release, and no more: waiters read the row again.
-- 3. If only the old column exists, since the role may not alter the table or nothing has altered it yet, newer
--    processes mark the old column, and its trigger notifies them.
-- 4. An older process that connects makes its own column and trigger where they are missing. It replaces a trigger
--    of that name, so this one has another name.
--
-- When no process of an older version is left:
--   DROP TRIGGER go_goscope_released ON go_goscope_locks; ALTER TABLE go_goscope_locks DROP COLUMN awaited;
ALTER TABLE go_goscope_locks ADD COLUMN IF NOT EXISTS has_waiters BOOLEAN;

DROP TRIGGER IF EXISTS go_goscope_lock_released ON go_goscope_locks;
CREATE TRIGGER go_goscope_lock_released AFTER DELETE ON go_goscope_locks FOR EACH ROW
  WHEN (OLD.has_waiters)
  EXECUTE FUNCTION go_goscope_notify();

-- Notifies all subscribers that something has happened to all rows.
CREATE OR REPLACE FUNCTION go_goscope_notify_all() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
-- goscope-postgres additions 4
BEGIN
  PERFORM pg_notify('go_goscope', '*');
  RETURN NULL;
END $$;

-- Notifies subscribers of each change of a breaker's state, by any software. A breaker without a row is closed.
-- Counting failures costs the comparison and no more.
DROP TRIGGER IF EXISTS go_goscope_inserted ON go_goscope_circuit;
CREATE TRIGGER go_goscope_inserted AFTER INSERT ON go_goscope_circuit FOR EACH ROW
  WHEN (NEW.state <> 'closed')
  EXECUTE FUNCTION go_goscope_notify();

DROP TRIGGER IF EXISTS go_goscope_changed ON go_goscope_circuit;
CREATE TRIGGER go_goscope_changed AFTER UPDATE ON go_goscope_circuit FOR EACH ROW
  WHEN (OLD.state <> NEW.state)
  EXECUTE FUNCTION go_goscope_notify();

DROP TRIGGER IF EXISTS go_goscope_deleted ON go_goscope_circuit;
CREATE TRIGGER go_goscope_deleted AFTER DELETE ON go_goscope_circuit FOR EACH ROW
  WHEN (OLD.state <> 'closed')
  EXECUTE FUNCTION go_goscope_notify();

DROP TRIGGER IF EXISTS go_goscope_truncated ON go_goscope_circuit;
CREATE TRIGGER go_goscope_truncated AFTER TRUNCATE ON go_goscope_circuit FOR EACH STATEMENT
  EXECUTE FUNCTION go_goscope_notify_all();

-- What identifies the request that gave the result, as given to run(); NULL if none was given.
ALTER TABLE go_goscope_idempotency ADD COLUMN IF NOT EXISTS fingerprint TEXT;
