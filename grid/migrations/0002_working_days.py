import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

# (old, new): the rows and their history stay where they are
TABLES = [("planned_workday", "grid_calendarday"), ("planned_workdayevent", "grid_calendardayevent")]
SEQUENCES = [
    ("planned_workday_id_seq", "grid_calendarday_id_seq"),
    ("planned_workdayevent_pgh_id_seq", "grid_calendardayevent_pgh_id_seq"),
]
CONSTRAINT = ("work_day_once", "calendar_day_once")


def renames(old, new):
    tables = [f"ALTER TABLE {pair[old]} RENAME TO {pair[new]}" for pair in TABLES]
    sequences = [f"ALTER SEQUENCE {pair[old]} RENAME TO {pair[new]}" for pair in SEQUENCES]
    constraint = f"ALTER TABLE {TABLES[0][new]} RENAME CONSTRAINT {CONSTRAINT[old]} TO {CONSTRAINT[new]}"
    return [*tables, *sequences, constraint]


class Migration(migrations.Migration):

    dependencies = [
        ('grid', '0001_initial'),
        ('pghistory', '0007_auto_20250421_0444'),
        # it gives the calendar up; the tables are still there, by their old names and without their triggers
        ('planned', '0002_the_calendar_moves_down'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(renames(0, 1), reverse_sql=renames(1, 0))],
            state_operations=[
                migrations.CreateModel(
                    name='CalendarDay',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('day', models.DateField(verbose_name='day')),
                        ('kind', models.CharField(choices=[('holiday', 'holiday'), ('exam', 'examination day'), ('blackout', 'no planned outages'), ('working', 'working day')], max_length=10, verbose_name='kind')),
                        ('name', models.CharField(max_length=64, verbose_name='name')),
                        ('name_en', models.CharField(blank=True, max_length=64, verbose_name='English name')),
                        ('branch', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='grid.branch', verbose_name='branch, with all below it')),
                    ],
                    options={
                        'verbose_name': 'day of the work calendar',
                        'verbose_name_plural': 'work calendar',
                        'ordering': ['day', 'pk'],
                    },
                ),
                migrations.CreateModel(
                    name='CalendarDayEvent',
                    fields=[
                        ('pgh_id', models.AutoField(primary_key=True, serialize=False)),
                        ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                        ('pgh_label', models.TextField(help_text='The event label.')),
                        ('id', models.BigIntegerField()),
                        ('day', models.DateField(verbose_name='day')),
                        ('kind', models.CharField(choices=[('holiday', 'holiday'), ('exam', 'examination day'), ('blackout', 'no planned outages'), ('working', 'working day')], max_length=10, verbose_name='kind')),
                        ('name', models.CharField(max_length=64, verbose_name='name')),
                        ('name_en', models.CharField(blank=True, max_length=64, verbose_name='English name')),
                        ('branch', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='grid.branch', verbose_name='branch, with all below it')),
                        ('pgh_context', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='pghistory.context')),
                        ('pgh_obj', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='events', to='grid.calendarday')),
                    ],
                    options={
                        'abstract': False,
                    },
                ),
                migrations.AddConstraint(
                    model_name='calendarday',
                    constraint=models.UniqueConstraint(fields=('day', 'kind', 'branch'), name='calendar_day_once', nulls_distinct=False),
                ),
            ],
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='calendarday',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='INSERT INTO "grid_calendardayevent" ("branch_id", "day", "id", "kind", "name", "name_en", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."branch_id", NEW."day", NEW."id", NEW."kind", NEW."name", NEW."name_en", _pgh_attach_context(), NOW(), \'insert\', NEW."id"); RETURN NULL;', hash='ee8341828dbcc60db0440323cf4041cb265ce4c8', operation='INSERT', pgid='pgtrigger_insert_insert_bc371', table='grid_calendarday', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='calendarday',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(condition='WHEN (OLD.* IS DISTINCT FROM NEW.*)', func='INSERT INTO "grid_calendardayevent" ("branch_id", "day", "id", "kind", "name", "name_en", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."branch_id", NEW."day", NEW."id", NEW."kind", NEW."name", NEW."name_en", _pgh_attach_context(), NOW(), \'update\', NEW."id"); RETURN NULL;', hash='553ac8a7ec3dd608d299d2b4d4aeb07b3ff12462', operation='UPDATE', pgid='pgtrigger_update_update_fc164', table='grid_calendarday', when='AFTER')),
        ),
    ]
