from django.apps import AppConfig


class FaultsConfig(AppConfig):
    name = "outages.faults"
    label = "faults"
    verbose_name = "Faults"
