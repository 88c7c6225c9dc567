from django.apps import AppConfig


class GridConfig(AppConfig):
    name = "grid"
    label = "grid"
    verbose_name = "Network and customers"
