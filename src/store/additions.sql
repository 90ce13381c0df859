-- What goes beyond the documented schema: nullable columns, sequences, functions and triggers. Everything documented
-- works without them, and whoever knows only the documented columns need not know of them.
--
-- `{table}` is the quoted name with its schema, `{schema}` the schema's with a dot; sections are read by `schema.rs`. The
-- same statements are in `sql/schema.sql`, and may be run again.
--
-- Each function says which version of the additions it is of. A change of a function gives all of them the next
-- number, here and in `sql/schema.sql`, so that `connect()` and `schema --missing` replace older ones.
--
-- Functions run with the rights of the role that writes or asks. So each has a search path of its own: on the session's,
-- another role could have put functions and operators that are found first.

-- section: notify
-- Notifies subscribers that something has happened to a row: `<schema>.<table>:<the stored key>`.
CREATE OR REPLACE FUNCTION {schema}go_goscope_notify() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
-- goscope-postgres additions 3
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

-- section: fencing
-- What acquire drew for whoever holds the lock; NULL where they took it without. Of a fencing token it is the upper
-- part less the lower (see go_goscope_check_fencing_token).
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS fencing_token BIGINT;
-- For whom: whoever takes the lock over without knowing of tokens must not inherit the last holder's.
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS fencing_owner TEXT;
-- CACHE 1, the default: sessions that draw ahead would not draw in the order in which they hold.
CREATE SEQUENCE IF NOT EXISTS {schema}go_goscope_locks_fencing_token_seq;
ALTER SEQUENCE {schema}go_goscope_locks_fencing_token_seq OWNED BY {table}.fencing_token;

-- section: fencing check
-- For the application's own transaction, before it writes: raises GF001 unless the lock is held with this token. Until
-- the transaction ends, nobody takes the lock over, releases it or sweeps it away, even when its lease runs out: that
-- waits for FOR KEY SHARE. An extension does not.
CREATE OR REPLACE FUNCTION {schema}go_goscope_check_fencing_token(key text, token bigint, key_prefix text DEFAULT '')
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
-- goscope-postgres additions 3
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
  PERFORM FROM {table} AS lock
    WHERE lock.key = ANY (stored) AND lock.fencing_token = drawn AND lock.fencing_owner = lock.owner
      AND lock.expires_at > {now:expires_at}
    FOR KEY SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the lock "%" is not held with fencing token %', key, token
      USING ERRCODE = 'GF001',
            DETAIL = 'Its lease has run out, or somebody else has taken it since.',
            HINT = 'Roll back, and do the work again under a lock that was newly acquired.';
  END IF;
END $$;

-- section: waking
-- Whether somebody waits for the lock; only then its release is told.
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS awaited BOOLEAN;
DROP TRIGGER IF EXISTS go_goscope_released ON {table};
CREATE TRIGGER go_goscope_released AFTER DELETE ON {table} FOR EACH ROW
  WHEN (OLD.awaited)
  EXECUTE FUNCTION {schema}go_goscope_notify();

-- section: notify all
-- Tells all who listen that something has happened to all rows.
CREATE OR REPLACE FUNCTION {schema}go_goscope_notify_all() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
-- goscope-postgres additions 3
BEGIN
  PERFORM pg_notify('go_goscope', '*');
  RETURN NULL;
END $$;

-- section: changes
-- Tells of each change of a breaker's state, whoever makes it. A breaker that has no row is closed. Counting failures
-- costs the comparison and no more.
DROP TRIGGER IF EXISTS go_goscope_inserted ON {table};
CREATE TRIGGER go_goscope_inserted AFTER INSERT ON {table} FOR EACH ROW
  WHEN (NEW.state <> 'closed')
  EXECUTE FUNCTION {schema}go_goscope_notify();
DROP TRIGGER IF EXISTS go_goscope_changed ON {table};
CREATE TRIGGER go_goscope_changed AFTER UPDATE ON {table} FOR EACH ROW
  WHEN (OLD.state <> NEW.state)
  EXECUTE FUNCTION {schema}go_goscope_notify();
DROP TRIGGER IF EXISTS go_goscope_deleted ON {table};
CREATE TRIGGER go_goscope_deleted AFTER DELETE ON {table} FOR EACH ROW
  WHEN (OLD.state <> 'closed')
  EXECUTE FUNCTION {schema}go_goscope_notify();
DROP TRIGGER IF EXISTS go_goscope_truncated ON {table};
CREATE TRIGGER go_goscope_truncated AFTER TRUNCATE ON {table} FOR EACH STATEMENT
  EXECUTE FUNCTION {schema}go_goscope_notify_all();

-- section: fingerprint
-- What identifies the request that gave the result, as given to run(); NULL where none was given.
ALTER TABLE {table} ADD COLUMN IF NOT EXISTS fingerprint TEXT;
