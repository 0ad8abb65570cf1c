-- refuse_audit_change: nothing is changed in, or taken out of, the audit log.
--
-- It fires once a statement, so that a statement that meets no row is refused as well, and
-- always, so that a session that plays a replica is refused as well. Whoever owns the table can
-- take the trigger off; a role that may only SELECT and INSERT cannot (docs/operations.md).
CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit log is only ever added to.' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE OR REPLACE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_append_only;
