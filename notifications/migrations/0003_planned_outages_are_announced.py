"""What is said before an outage: announced, said again, moved. The gate learns when each of these is still true."""

from django.db import migrations, models

# an announcement is true while the outage is still ahead, and for the window that it names
AHEAD = """
CREATE OR REPLACE VIEW notice_sendable AS
SELECT n.id, n.outage_id, n.mandatory, n.quiet_exempt,
       n.kind IN ('new', 'estimate_set', 'estimate_changed') AS needs_off,
       n.kind IN ('partly_restored', 'restored') AS needs_on
FROM notifications_notice n
LEFT JOIN outages_outage o ON o.id = n.outage_id
WHERE n.status = 'sending' AND n.expires_at > now()
  AND CASE
      WHEN n.kind IN ('announced', 'reminder_early', 'reminder_late', 'moved') THEN
          o.status = 'scheduled' AND o.planned_start > now()
          AND o.planned_start = n.says_from AND o.planned_end = n.says_until
      WHEN n.kind IN ('new', 'estimate_set', 'estimate_changed') THEN
          o.status IN ('active', 'partially_restored')
          AND CASE WHEN n.says_until IS NULL THEN coalesce(o.etr, o.planned_end) IS NULL
              ELSE coalesce(o.etr, o.planned_end) BETWEEN n.says_until - n.slack AND n.says_until + n.slack END
      WHEN n.kind = 'partly_restored' THEN o.status IN ('active', 'partially_restored', 'restored', 'closed')
      WHEN n.kind = 'restored' THEN o.status IN ('restored', 'closed')
      WHEN n.kind = 'cancelled' THEN o.status = 'cancelled'
      ELSE false
  END;
"""

BACK = """
CREATE OR REPLACE VIEW notice_sendable AS
SELECT n.id, n.outage_id, n.mandatory, n.quiet_exempt,
       n.kind IN ('new', 'estimate_set', 'estimate_changed') AS needs_off,
       n.kind IN ('partly_restored', 'restored') AS needs_on
FROM notifications_notice n
LEFT JOIN outages_outage o ON o.id = n.outage_id
WHERE n.status = 'sending' AND n.expires_at > now()
  AND CASE
      WHEN n.kind IN ('new', 'estimate_set', 'estimate_changed') THEN
          o.status IN ('active', 'partially_restored')
          AND CASE WHEN n.says_until IS NULL THEN coalesce(o.etr, o.planned_end) IS NULL
              ELSE coalesce(o.etr, o.planned_end) BETWEEN n.says_until - n.slack AND n.says_until + n.slack END
      WHEN n.kind = 'partly_restored' THEN o.status IN ('active', 'partially_restored', 'restored', 'closed')
      WHEN n.kind = 'restored' THEN o.status IN ('restored', 'closed')
      WHEN n.kind = 'cancelled' THEN o.status = 'cancelled'
      ELSE false
  END;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("notifications", "0002_deliveries_by_day"),
        ("outages", "0003_the_window_that_moved"),
    ]

    operations = [
        migrations.AlterField(
            model_name="notice",
            name="kind",
            field=models.CharField(
                choices=[
                    ("announced", "announced"),
                    ("reminder_early", "first reminder"),
                    ("reminder_late", "last reminder"),
                    ("moved", "moved"),
                    ("new", "power is off"),
                    ("estimate_set", "estimate given"),
                    ("estimate_changed", "estimate changed"),
                    ("partly_restored", "partly restored"),
                    ("restored", "restored"),
                    ("cancelled", "cancelled"),
                ],
                max_length=20,
                verbose_name="kind",
            ),
        ),
        migrations.RunSQL(AHEAD, BACK),
    ]
