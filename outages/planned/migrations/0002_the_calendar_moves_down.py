import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('planned', '0001_plans_and_works'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(model_name='workday', name='insert_insert'),
        pgtrigger.migrations.RemoveTrigger(model_name='workday', name='update_update'),
        # the tables stay: ``grid`` takes them over in 0002_working_days
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.DeleteModel(name='WorkDayEvent'),
                migrations.DeleteModel(name='WorkDay'),
            ],
        ),
    ]
