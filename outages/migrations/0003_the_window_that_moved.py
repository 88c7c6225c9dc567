"""Where a scheduled outage was moved from: a caller who waits for the old window must hear of the new one."""

import django.contrib.postgres.fields.ranges
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("outages", "0002_the_log_is_append_only")]

    operations = [
        migrations.AddField(
            model_name="outage",
            name="moved_from",
            field=django.contrib.postgres.fields.ranges.DateTimeRangeField(
                blank=True, null=True, verbose_name="moved from"
            ),
        ),
    ]
