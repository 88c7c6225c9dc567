from django.apps import AppConfig


class PlannedConfig(AppConfig):
    name = "outages.planned"
    label = "planned"
    verbose_name = "Planned outages"
