"""The pages of load shedding."""

from django.urls import URLPattern, path

from outages.load_shedding.views import (
    blocks,
    console,
    event_forms,
    event_steps,
    events,
    kept_out,
    monitor,
    plans,
    public,
    reports,
    schedule,
    tables,
)

app_name = "load_shedding"

urlpatterns: list[URLPattern] = [
    # the desk and its events
    path("", console.index, name="console"),
    path("events/", console.events_list, name="events"),
    path("events/new/", console.alert, name="alert"),
    path("events/order/", console.emergency, name="emergency"),
    path("events/<str:reference>/", events.detail, name="event"),
    path("events/<str:reference>/measures/", event_forms.measure, name="event-measure"),
    path("events/<str:reference>/order/", event_forms.order, name="event-order"),
    path("events/<str:reference>/compute/", event_forms.compute, name="event-compute"),
    path("events/<str:reference>/propose/", event_forms.propose, name="event-propose"),
    path("events/<str:reference>/confirm/", event_forms.confirm, name="event-confirm"),
    path("events/<str:reference>/return/", event_forms.send_back, name="event-return"),
    path("events/<str:reference>/withdraw/", event_forms.withdraw, name="event-withdraw"),
    path("events/<str:reference>/undo/", event_forms.undo, name="event-undo"),
    path("events/<str:reference>/monitor/", monitor.monitor, name="event-monitor"),
    path("events/<str:reference>/step/<str:name>/", event_steps.event_step, name="event-step"),
    path("events/<str:reference>/slots/<int:slot_pk>/<str:name>/", event_steps.slot_step, name="slot-step"),
    path("events/<str:reference>/report/", reports.index, name="report"),
    path("events/<str:reference>/report.csv", reports.export, name="report-csv"),
    path("events/<str:reference>/report/<str:name>.svg", reports.chart, name="report-chart"),
    path("events/<str:reference>/reconcile/", reports.reconcile, name="reconcile"),
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
    # for everybody, under the language of the page
    path("public/", public.door, name="public-door"),
    path("public/<slug:language>/", public.home, name="public"),
    path("public/<slug:language>/find/", public.find, name="public-find"),
    path("public/<slug:language>/blocks/<str:branch>/", public.branch, name="public-branch"),
    path("public/<slug:language>/blocks/<str:branch>/<str:code>/", public.block, name="public-block"),
    path("public/<slug:language>/blocks/<str:branch>/<str:code>/calendar.ics", public.calendar, name="public-calendar"),
]
