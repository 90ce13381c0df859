-- What the role that an application connects as needs, and no more: no DDL, no TRUNCATE, no other table. Replace the
-- role's name, the schema's where the tables are not in `public`, and leave out the tables that the application does not
-- use. The table of a PostgresCacheAdapter needs the rights of go_goscope_cache.
--
-- CREATE ROLE goscope_app LOGIN PASSWORD '…';

GRANT USAGE ON SCHEMA public TO goscope_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON go_goscope_locks TO goscope_app;
GRANT SELECT, INSERT, UPDATE ON go_goscope_circuit TO goscope_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON go_goscope_cache TO goscope_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON go_goscope_checkpoints TO goscope_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON go_goscope_idempotency TO goscope_app;

-- For fencing tokens. Every role may execute functions, unless the database’s default privileges revoke that.
GRANT USAGE ON SEQUENCE go_goscope_locks_fencing_token_seq TO goscope_app;
GRANT EXECUTE ON FUNCTION go_goscope_check_fencing_token(text, bigint, text) TO goscope_app;
