from django.apps import AppConfig


class BillingCutoffsConfig(AppConfig):
    name = "billing_cutoffs"
    label = "billing_cutoffs"
    verbose_name = "Non-payment cut-offs"
