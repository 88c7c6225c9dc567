from django.apps import AppConfig


class OutageMgmtConfig(AppConfig):
    name = "outage_mgmt"
    label = "outage_mgmt"
    verbose_name = "Composition root"
