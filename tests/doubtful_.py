"""A database whose commits warn, as where a wait for a synchronous standby is cancelled."""

WARN_AT_COMMIT = """
CREATE SEQUENCE warned;
GRANT USAGE ON SEQUENCE warned TO stafett_append;
CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF nextval('warned') <= {times} THEN
    RAISE WARNING 'canceling wait for synchronous replication due to user request';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER warn AFTER INSERT OR UPDATE ON ledger.{table}
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION warn();
"""
