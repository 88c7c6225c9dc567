"""Letters: what is said to one customer alone. A notice knows its branch, a delivery the letter it brings."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

# checked at once: a table with checks still to be made cannot be altered
BRANCH = """
SET CONSTRAINTS ALL IMMEDIATE;
UPDATE notifications_notice n SET branch_id = o.branch_id FROM outages_outage o WHERE o.id = n.outage_id;
SET CONSTRAINTS ALL DEFERRED;
"""
NO_BRANCH = """
SET CONSTRAINTS ALL IMMEDIATE;
DELETE FROM notifications_notice WHERE kind = 'letter';
SET CONSTRAINTS ALL DEFERRED;
"""

# people at one telephone have each their own letter; a row without one costs a bit in its null map
LETTER = """
ALTER TABLE notifications_delivery ADD COLUMN letter_id bigint;
DROP INDEX delivery_address_once;
CREATE UNIQUE INDEX delivery_address_once ON notifications_delivery (day, notice_id, channel, address_key)
    WHERE state <> 12 AND letter_id IS NULL;
"""
NO_LETTER = """
DELETE FROM notifications_delivery WHERE letter_id IS NOT NULL;
DROP INDEX delivery_address_once;
ALTER TABLE notifications_delivery DROP COLUMN letter_id;
CREATE UNIQUE INDEX delivery_address_once ON notifications_delivery (day, notice_id, channel, address_key)
    WHERE state <> 12;
"""

# a letter is true until its time is over; that it was withdrawn is its own row's to say
VIEW = """
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
      {letter}ELSE false
  END;
"""
WITH_LETTERS = VIEW.format(letter="WHEN n.kind = 'letter' THEN true\n      ")
WITHOUT = VIEW.format(letter="")


class Migration(migrations.Migration):
    dependencies = [
        ("grid", "0001_initial"),
        ("notifications", "0003_planned_outages_are_announced"),
    ]

    operations = [
        migrations.AddField(
            model_name="notice",
            name="branch",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="grid.branch"
            ),
        ),
        migrations.RunSQL(BRANCH, NO_BRANCH),
        migrations.AlterField(
            model_name="notice",
            name="branch",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="grid.branch"),
        ),
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
                    ("letter", "letter"),
                ],
                max_length=20,
                verbose_name="kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "letter"), ("outage__isnull", True)),
                    models.Q(models.Q(("kind", "letter"), _negated=True), ("outage__isnull", False)),
                    _connector="OR",
                ),
                name="notice_letters_are_about_no_outage",
            ),
        ),
        migrations.CreateModel(
            name="Letter",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("ref", models.CharField(max_length=64, verbose_name="reference")),
                ("subject", models.CharField(max_length=120, verbose_name="subject")),
                ("text", models.TextField(verbose_name="text")),
                ("language", models.CharField(max_length=8, verbose_name="language")),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("withdrawn_at", models.DateTimeField(blank=True, null=True, verbose_name="withdrawn")),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="letters", to="grid.customer"
                    ),
                ),
                (
                    "notice",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="letters",
                        to="notifications.notice",
                    ),
                ),
                (
                    "service_point",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="grid.servicepoint",
                    ),
                ),
            ],
            options={
                "verbose_name": "letter",
                "verbose_name_plural": "letters",
                "constraints": [models.UniqueConstraint(fields=("notice", "customer"), name="letter_once")],
            },
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(LETTER, NO_LETTER)],
            state_operations=[
                migrations.AddField(model_name="delivery", name="letter_id", field=models.BigIntegerField(null=True)),
            ],
        ),
        migrations.RunSQL(WITH_LETTERS, WITHOUT),
    ]
