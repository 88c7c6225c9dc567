"""Events may be added, never changed or taken away; the single row of system state exists from the start."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION outages_event_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the history of outages is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER outages_event_append_only BEFORE UPDATE OR DELETE ON outages_outageevent
    FOR EACH ROW EXECUTE FUNCTION outages_event_refuse();
CREATE TRIGGER outages_event_no_truncate BEFORE TRUNCATE ON outages_outageevent
    FOR EACH STATEMENT EXECUTE FUNCTION outages_event_refuse();
INSERT INTO outages_systemstate (id, epoch) VALUES (1, 1) ON CONFLICT DO NOTHING;
"""

BACKWARD = """
DROP TRIGGER outages_event_no_truncate ON outages_outageevent;
DROP TRIGGER outages_event_append_only ON outages_outageevent;
DROP FUNCTION outages_event_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("outages", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
