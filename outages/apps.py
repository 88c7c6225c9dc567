from django.apps import AppConfig


class OutagesConfig(AppConfig):
    name = "outages"
    label = "outages"
    verbose_name = "Outages"
