from django.apps import AppConfig


class CallCenterConfig(AppConfig):
    name = "call_center"
    label = "call_center"
    verbose_name = "Call centre"
