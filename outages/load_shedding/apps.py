from django.apps import AppConfig


class LoadSheddingConfig(AppConfig):
    name = "outages.load_shedding"
    label = "load_shedding"
    verbose_name = "Load shedding"
