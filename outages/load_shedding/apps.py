from django.apps import AppConfig


class LoadSheddingConfig(AppConfig):
    name = "outages.load_shedding"
    label = "load_shedding"
    verbose_name = "Load shedding"

    def ready(self) -> None:
        from outages.kinds import register_kind
        from outages.load_shedding.kinds import LoadSheddingHandler

        register_kind(LoadSheddingHandler())
