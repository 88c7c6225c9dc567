import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('outages', '0002_the_log_is_append_only'),
    ]

    operations = [
        # partitioned: the table is made by SQL in the next migration
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name='Attempt',
                    fields=[
                        ('pk', models.CompositePrimaryKey('day', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                        ('day', models.DateField()),
                        ('id', models.BigIntegerField()),
                        ('token', models.UUIDField()),
                        ('account', models.CharField(max_length=32)),
                        ('delivery_ids', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                        ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                        ('ended_at', models.DateTimeField(null=True)),
                        ('error_class', models.CharField(blank=True, default='', max_length=16)),
                        ('answer', models.CharField(blank=True, default='', max_length=200)),
                    ],
                    options={
                        'verbose_name': 'attempt',
                        'verbose_name_plural': 'attempts',
                    },
                ),
            ],
        ),
        migrations.CreateModel(
            name='ProviderAccount',
            fields=[
                ('name', models.CharField(max_length=32, primary_key=True, serialize=False, verbose_name='name')),
                ('channel', models.CharField(choices=[('sms', 'text message'), ('email', 'e-mail')], max_length=8, verbose_name='channel')),
                ('rate', models.FloatField(default=50.0, verbose_name='messages a second')),
                ('burst', models.FloatField(default=200.0, verbose_name='burst')),
                ('circuit_open_until', models.DateTimeField(blank=True, null=True, verbose_name='not used until')),
                ('circuit_reason', models.CharField(blank=True, max_length=200, verbose_name='because of')),
            ],
            options={
                'verbose_name': 'provider account',
                'verbose_name_plural': 'provider accounts',
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('origin', models.CharField(max_length=64, verbose_name='origin')),
                ('kind', models.CharField(choices=[('new', 'power is off'), ('estimate_set', 'estimate given'), ('estimate_changed', 'estimate changed'), ('partly_restored', 'partly restored'), ('restored', 'restored'), ('cancelled', 'cancelled')], max_length=20, verbose_name='kind')),
                ('generation', models.PositiveSmallIntegerField(default=1)),
                ('status', models.CharField(choices=[('draft', 'draft'), ('approved', 'approved'), ('sending', 'sending'), ('paused', 'paused'), ('superseded', 'superseded'), ('done', 'done')], default='sending', max_length=12, verbose_name='status')),
                ('lane', models.SmallIntegerField(choices=[(0, 'life support'), (1, 'power is off'), (2, 'restored'), (3, 'estimate'), (4, 'planned'), (5, 'bulk')], verbose_name='lane')),
                ('template_version', models.CharField(default='1', max_length=16)),
                ('says_from', models.DateTimeField(blank=True, null=True)),
                ('says_until', models.DateTimeField(blank=True, null=True)),
                ('slack', models.DurationField()),
                ('policy', models.CharField(choices=[('hold', 'a person decides'), ('resend', 'send again')], default='hold', max_length=8)),
                ('mandatory', models.BooleanField(default=False)),
                ('quiet_exempt', models.BooleanField(default=False)),
                ('expires_at', models.DateTimeField(verbose_name='not after')),
                ('day', models.DateField()),
                ('author', models.CharField(max_length=150, verbose_name='by')),
                ('approver', models.CharField(blank=True, max_length=150, verbose_name='approved by')),
                ('planned_count', models.IntegerField(blank=True, null=True, verbose_name='messages')),
                ('event_id', models.BigIntegerField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('outage', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='notices', to='outages.outage')),
                ('supersedes', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='superseded_by', to='notifications.notice')),
            ],
            options={
                'verbose_name': 'notice',
                'verbose_name_plural': 'notices',
            },
        ),
        # partitioned: the table is made by SQL in the next migration
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name='Delivery',
                    fields=[
                        ('pk', models.CompositePrimaryKey('day', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                        ('day', models.DateField()),
                        ('id', models.BigIntegerField()),
                        ('customer_id', models.BigIntegerField()),
                        ('branch_id', models.BigIntegerField()),
                        ('service_point_id', models.BigIntegerField(null=True)),
                        ('channel', models.CharField(choices=[('sms', 'text message'), ('email', 'e-mail')], max_length=8)),
                        ('lane', models.SmallIntegerField(choices=[(0, 'life support'), (1, 'power is off'), (2, 'restored'), (3, 'estimate'), (4, 'planned'), (5, 'bulk')])),
                        ('address_key', models.BinaryField(max_length=16)),
                        ('state', models.SmallIntegerField(choices=[(0, 'waiting'), (1, 'taken'), (2, 'being sent'), (3, 'accepted by the provider'), (4, 'delivered'), (5, 'not delivered'), (6, 'failed'), (7, 'not known'), (8, 'no longer true'), (9, 'too late'), (10, 'not wanted'), (11, 'paused'), (12, 'joined with another')], default=0)),
                        ('not_before', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                        ('attempts', models.SmallIntegerField(default=0)),
                        ('lease_token', models.UUIDField(null=True)),
                        ('lease_until', models.DateTimeField(null=True)),
                        ('account', models.CharField(blank=True, default='', max_length=32)),
                        ('provider_id', models.CharField(blank=True, default='', max_length=128)),
                        ('error_code', models.CharField(blank=True, default='', max_length=64)),
                        ('accepted_at', models.DateTimeField(null=True)),
                        ('done_at', models.DateTimeField(null=True)),
                        ('notice', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='notifications.notice')),
                    ],
                    options={
                        'verbose_name': 'delivery',
                        'verbose_name_plural': 'deliveries',
                    },
                ),
            ],
        ),
        migrations.CreateModel(
            name='NoticeChunk',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('lo', models.BigIntegerField()),
                ('hi', models.BigIntegerField()),
                ('is_done', models.BooleanField(default=False)),
                ('notice', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='chunks', to='notifications.notice')),
            ],
        ),
        migrations.CreateModel(
            name='RateBucket',
            fields=[
                ('account', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='bucket', serialize=False, to='notifications.provideraccount')),
                ('tokens', models.FloatField(default=0.0)),
                ('refilled_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('slowed_until', models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name='Receipt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('account', models.CharField(max_length=32)),
                ('provider_id', models.CharField(max_length=128)),
                ('client_ref', models.CharField(blank=True, max_length=64)),
                ('status', models.CharField(max_length=64)),
                ('occurred_at', models.DateTimeField(blank=True, null=True)),
                ('received_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('applied_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name': 'receipt',
                'verbose_name_plural': 'receipts',
                'indexes': [models.Index(condition=models.Q(('applied_at__isnull', True)), fields=['id'], name='receipt_open')],
                'constraints': [models.UniqueConstraint(fields=('account', 'provider_id', 'status'), name='receipt_once')],
            },
        ),
        migrations.CreateModel(
            name='Suppression',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('address_key', models.BinaryField(max_length=16)),
                ('channel', models.CharField(choices=[('sms', 'text message'), ('email', 'e-mail')], max_length=8)),
                ('reason', models.CharField(choices=[('opt_out', 'opted out'), ('bad_address', 'address does not exist')], max_length=16)),
                ('until', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'verbose_name': 'suppressed address',
                'verbose_name_plural': 'suppressed addresses',
                'constraints': [models.UniqueConstraint(fields=('address_key', 'channel'), name='suppression_once')],
            },
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(condition=models.Q(('planned_count__isnull', True)), fields=['id'], name='notice_unplanned'),
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(condition=models.Q(('status', 'sending')), fields=['expires_at'], name='notice_sending'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.UniqueConstraint(fields=('origin', 'kind', 'generation'), name='notice_once'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.CheckConstraint(condition=models.Q(('approver', ''), models.Q(('approver', models.F('author')), _negated=True), _connector='OR'), name='notice_approver_is_another'),
        ),
        migrations.AddIndex(
            model_name='noticechunk',
            index=models.Index(condition=models.Q(('is_done', False)), fields=['notice'], name='notice_chunk_open'),
        ),
        migrations.AddConstraint(
            model_name='noticechunk',
            constraint=models.UniqueConstraint(fields=('notice', 'lo'), name='notice_chunk_once'),
        ),
    ]
