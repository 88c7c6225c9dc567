from django.apps import AppConfig


class OutageMgmtConfig(AppConfig):
    name = "outage_mgmt"
    label = "outage_mgmt"
    verbose_name = "Composition root"

    def ready(self) -> None:
        from outage_mgmt import celery

        celery.app.set_default()  # so that every process that queues a task knows the broker
