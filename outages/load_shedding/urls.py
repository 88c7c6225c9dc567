"""The pages of load shedding."""

from django.urls import URLPattern, path

from outages.load_shedding.views import blocks, kept_out, plans, schedule, tables

app_name = "load_shedding"

urlpatterns: list[URLPattern] = [
    # plans
    path("plans/", plans.index, name="plans"),
    path("plans/<int:pk>/", plans.detail, name="plan"),
    path("plans/<int:pk>/change/", plans.change, name="plan-change"),
    path("plans/<int:pk>/stages/", plans.stages, name="plan-stages"),
    path("plans/<int:pk>/measure/", plans.measure, name="plan-measure"),
    path("plans/<int:pk>/copy/", plans.copy, name="plan-copy"),
    path("plans/<int:pk>/delete/", plans.delete, name="plan-delete"),
    path("plans/<int:pk>/approve/", plans.approve, name="plan-approve"),
    path("plans/<int:pk>/retire/", plans.retire, name="plan-retire"),
    path("plans/<int:pk>/blocks.csv", plans.blocks_csv, name="blocks-csv"),
    path("plans/<int:pk>/blocks/new/", blocks.new, name="block-new"),
    path("plans/<int:pk>/blocks/<int:block_pk>/", blocks.detail, name="block"),
    path("plans/<int:pk>/blocks/<int:block_pk>/delete/", blocks.delete, name="block-delete"),
    path("plans/<int:pk>/turns/", tables.turns, name="turns"),
    path("plans/<int:pk>/turns/<int:turn_pk>/delete/", tables.turn_delete, name="turn-delete"),
    path("plans/<int:pk>/table/", tables.upload, name="table"),
    path("plans/<int:pk>/table/<str:digest>/", tables.check, name="table-check"),
    path("plans/<int:pk>/table.csv", tables.export, name="table-csv"),
    path("plans/<int:pk>/table-template.xlsx", tables.template, name="table-template"),
    path("kept-out/", kept_out.index, name="kept-out"),
    path("kept-out/<int:pk>/delete/", kept_out.delete, name="kept-out-delete"),
    path("kept-out.csv", kept_out.export, name="kept-out-csv"),
    # what is published
    path("schedule/", schedule.index, name="schedule"),
    path("schedule/<int:pk>/publish/", schedule.publish, name="schedule-publish"),
    path("schedule/<int:pk>/withdraw/", schedule.withdraw, name="schedule-withdraw"),
    path("schedule/<int:pk>/schedule.csv", schedule.export, name="schedule-csv"),
]
