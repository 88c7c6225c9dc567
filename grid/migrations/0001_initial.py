import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
from django.contrib.postgres.operations import BtreeGistExtension, TrigramExtension
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        # trigram search over names and addresses; exclusion of overlapping times over plain columns
        TrigramExtension(),
        BtreeGistExtension(),
        migrations.CreateModel(
            name='GridImport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source_format', models.CharField(max_length=8, verbose_name='format')),
                ('source', models.CharField(blank=True, max_length=64, verbose_name='imported from')),
                ('branch_code', models.CharField(blank=True, max_length=64, verbose_name='branch')),
                ('is_dry_run', models.BooleanField(default=False, verbose_name='preview only')),
                ('file_names', models.JSONField(default=list, verbose_name='files')),
                ('status', models.CharField(choices=[('queued', 'queued'), ('reading', 'reading'), ('preview', 'waiting for confirmation'), ('applying', 'applying'), ('done', 'done'), ('failed', 'failed'), ('discarded', 'discarded')], default='queued', max_length=12, verbose_name='status')),
                ('progress', models.SmallIntegerField(default=0, verbose_name='progress (%)')),
                ('stage', models.CharField(blank=True, max_length=64, verbose_name='stage')),
                ('counts', models.JSONField(default=dict, verbose_name='added, changed, removed')),
                ('sample', models.JSONField(default=dict, verbose_name='examples of the changes')),
                ('errors', models.JSONField(default=list, verbose_name='errors')),
                ('warnings', models.JSONField(default=list, verbose_name='warnings')),
                ('actor', models.CharField(blank=True, max_length=150, verbose_name='by')),
                ('started_at', models.DateTimeField(auto_now_add=True, verbose_name='started')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='finished')),
            ],
            options={
                'verbose_name': 'grid import',
                'verbose_name_plural': 'grid imports',
                'ordering': ['-started_at'],
            },
        ),
        migrations.CreateModel(
            name='Branch',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(max_length=64, unique=True, verbose_name='code')),
                ('name', models.CharField(max_length=128, verbose_name='name')),
                ('name_en', models.CharField(blank=True, max_length=128, verbose_name='English name')),
                ('pos', models.BigIntegerField(default=0, editable=False)),
                ('last', models.BigIntegerField(default=0, editable=False)),
                ('area_class', models.CharField(choices=[('urban', 'urban'), ('rural', 'rural'), ('remote', 'remote')], default='urban', max_length=8, verbose_name='area class')),
                ('time_zone', models.CharField(default='Asia/Shanghai', max_length=64, verbose_name='time zone')),
                ('send_from', models.TimeField(default='07:00', verbose_name='messages from')),
                ('send_until', models.TimeField(default='22:00', verbose_name='messages until')),
                ('rule_pack', models.CharField(default='cn-sgcc', max_length=64, verbose_name='rule pack')),
                ('phone', models.CharField(blank=True, max_length=32, verbose_name='telephone')),
                ('parent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='grid.branch')),
            ],
            options={
                'verbose_name': 'branch',
                'verbose_name_plural': 'branches',
                'ordering': ['pos', 'code'],
            },
        ),
        migrations.CreateModel(
            name='Customer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('account_number', models.CharField(max_length=64, unique=True, verbose_name='account number')),
                ('name', models.CharField(max_length=128, verbose_name='name')),
                ('initials', models.CharField(blank=True, max_length=64, verbose_name='pinyin initials')),
                ('customer_class', models.CharField(choices=[('residential', 'residential'), ('commercial', 'commercial'), ('industrial', 'industrial'), ('agricultural', 'agricultural'), ('public', 'public service')], default='residential', max_length=16, verbose_name='class')),
                ('importance', models.CharField(choices=[('normal', 'normal'), ('important_1', 'important, level 1'), ('important_2', 'important, level 2'), ('life_support', 'life support')], default='normal', max_length=16, verbose_name='importance')),
                ('language', models.CharField(default='zh-hans', max_length=8, verbose_name='language')),
                ('source', models.CharField(blank=True, editable=False, max_length=64, verbose_name='imported from')),
                ('branch', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='customers', to='grid.branch')),
            ],
            options={
                'verbose_name': 'customer',
                'verbose_name_plural': 'customers',
            },
        ),
        migrations.CreateModel(
            name='ContactPoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('phone', 'telephone'), ('email', 'e-mail')], max_length=8, verbose_name='kind')),
                ('value', models.CharField(max_length=254, verbose_name='address')),
                ('reversed_digits', models.CharField(blank=True, editable=False, max_length=32)),
                ('is_preferred', models.BooleanField(default=True, verbose_name='preferred')),
                ('opted_out', models.BooleanField(default=False, verbose_name='opted out')),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='contacts', to='grid.customer')),
            ],
            options={
                'verbose_name': 'contact point',
                'verbose_name_plural': 'contact points',
            },
        ),
        migrations.CreateModel(
            name='GridElement',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('substation', 'substation'), ('busbar', 'busbar'), ('feeder', 'feeder'), ('breaker', 'breaker'), ('recloser', 'recloser'), ('switch', 'switch'), ('fuse', 'fuse'), ('section', 'line section'), ('node', 'connectivity node'), ('transformer', 'transformer'), ('lv_circuit', 'low-voltage circuit')], max_length=16, verbose_name='kind')),
                ('code', models.CharField(max_length=128, verbose_name='code')),
                ('name', models.CharField(blank=True, max_length=200, verbose_name='name')),
                ('pos', models.BigIntegerField(default=0, editable=False)),
                ('last', models.BigIntegerField(default=0, editable=False)),
                ('is_source', models.BooleanField(default=False, verbose_name='source')),
                ('normally_open', models.BooleanField(default=False, verbose_name='normally open')),
                ('is_open', models.BooleanField(default=False, verbose_name='open now')),
                ('lon', models.FloatField(blank=True, null=True, verbose_name='longitude')),
                ('lat', models.FloatField(blank=True, null=True, verbose_name='latitude')),
                ('geometry', models.JSONField(blank=True, null=True, verbose_name='geometry')),
                ('customers', models.IntegerField(default=0, validators=[django.core.validators.MinValueValidator(0)], verbose_name='customers')),
                ('critical_customers', models.IntegerField(default=0, verbose_name='critical customers')),
                ('load_kw', models.FloatField(default=0.0, verbose_name='load (kW)')),
                ('own_customers', models.IntegerField(default=0, editable=False)),
                ('own_critical', models.IntegerField(default=0, editable=False)),
                ('own_load_kw', models.FloatField(default=0.0, editable=False)),
                ('source', models.CharField(blank=True, editable=False, max_length=64, verbose_name='imported from')),
                ('branch', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='elements', to='grid.branch')),
                ('feeder', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='grid.gridelement')),
                ('parent', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='grid.gridelement')),
            ],
            options={
                'verbose_name': 'grid element',
                'verbose_name_plural': 'grid elements',
            },
        ),
        migrations.CreateModel(
            name='GridRevision',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('number', models.BigIntegerField(default=0)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='grid_revision_single')],
            },
        ),
        migrations.CreateModel(
            name='GridTie',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('a', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='ties_from', to='grid.gridelement')),
                ('b', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='ties_to', to='grid.gridelement')),
            ],
            options={
                'verbose_name': 'tie',
                'verbose_name_plural': 'ties',
            },
        ),
        migrations.CreateModel(
            name='ServicePoint',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(max_length=128, unique=True, verbose_name='code')),
                ('meter_number', models.CharField(blank=True, max_length=64, verbose_name='meter number')),
                ('address', models.CharField(blank=True, max_length=254, verbose_name='address')),
                ('lon', models.FloatField(blank=True, null=True, verbose_name='longitude')),
                ('lat', models.FloatField(blank=True, null=True, verbose_name='latitude')),
                ('contracted_kw', models.FloatField(default=0.0, verbose_name='contracted power (kW)')),
                ('average_kw', models.FloatField(default=0.0, verbose_name='average power (kW)')),
                ('source', models.CharField(blank=True, editable=False, max_length=64, verbose_name='imported from')),
                ('branch', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='service_points', to='grid.branch')),
                ('customer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='service_points', to='grid.customer')),
                ('element', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='service_points', to='grid.gridelement')),
            ],
            options={
                'verbose_name': 'service point',
                'verbose_name_plural': 'service points',
            },
        ),
        migrations.AddIndex(
            model_name='branch',
            index=models.Index(fields=['pos'], name='branch_pos'),
        ),
        migrations.AddIndex(
            model_name='customer',
            index=models.Index(fields=['initials'], name='customer_initials', opclasses=['varchar_pattern_ops']),
        ),
        migrations.AddIndex(
            model_name='customer',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass('name', name='gin_trgm_ops'), name='customer_name_trgm'),
        ),
        migrations.AddIndex(
            model_name='contactpoint',
            index=models.Index(fields=['value'], name='contact_value'),
        ),
        migrations.AddIndex(
            model_name='contactpoint',
            index=models.Index(fields=['reversed_digits'], name='contact_tail', opclasses=['varchar_pattern_ops']),
        ),
        migrations.AddConstraint(
            model_name='contactpoint',
            constraint=models.UniqueConstraint(fields=('customer', 'kind', 'value'), name='contact_once'),
        ),
        migrations.AddIndex(
            model_name='gridelement',
            index=models.Index(fields=['pos'], name='element_pos'),
        ),
        migrations.AddIndex(
            model_name='gridelement',
            index=models.Index(condition=models.Q(('is_open', True)), fields=['id'], name='element_open_now'),
        ),
        migrations.AddIndex(
            model_name='gridelement',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Upper('code'), name='gin_trgm_ops'), name='element_code_trgm'),
        ),
        migrations.AddIndex(
            model_name='gridelement',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(django.db.models.functions.text.Upper('name'), name='gin_trgm_ops'), name='element_name_trgm'),
        ),
        migrations.AddConstraint(
            model_name='gridelement',
            constraint=models.UniqueConstraint(fields=('code',), name='element_code_unique'),
        ),
        migrations.AddConstraint(
            model_name='gridtie',
            constraint=models.UniqueConstraint(fields=('a', 'b'), name='tie_once'),
        ),
        migrations.AddConstraint(
            model_name='gridtie',
            constraint=models.CheckConstraint(condition=models.Q(('a__lt', models.F('b'))), name='tie_ordered'),
        ),
        migrations.AddIndex(
            model_name='servicepoint',
            index=models.Index(fields=['meter_number'], name='service_point_meter'),
        ),
        migrations.AddIndex(
            model_name='servicepoint',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass('address', name='gin_trgm_ops'), name='service_point_address_trgm'),
        ),
    ]
