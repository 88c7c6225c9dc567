"""Doorbells: each task finds its work in PostgreSQL, so a lost one costs seconds. Unknown keywords are accepted."""

from __future__ import annotations

from celery import shared_task

from notifications import fanout, reminders, router, sending, services
from notifications.models import Channel
from standards.doorbell import Doorbell


@shared_task(base=Doorbell, queue="plan", expires=30)
def route(**_later: object) -> dict[str, int]:
    """Turn what happened into notices, and have them fanned out."""
    events, notices = router.route_events()
    fan_out.delay_on_commit()
    return {"events": events, "notices": notices}


@shared_task(base=Doorbell, queue="plan", expires=60)
def remind(**_later: object) -> dict[str, int]:
    """Say again what was announced, when its time comes near."""
    written = reminders.reminders_write()
    if written:
        fan_out.delay_on_commit()
    return {"notices": written}


@shared_task(base=Doorbell, queue="plan", expires=30)
def fan_out(**_later: object) -> dict[str, int]:
    """Write down every message that notices owe, and have them sent."""
    messages = fanout.fan_out()
    if messages:
        deliver_lane.delay_on_commit()
    return {"messages": messages}


@shared_task(base=Doorbell, queue="ring", expires=30)
def deliver_lane(channel: str = "", **_later: object) -> dict[str, int]:
    """Send what is due, on one channel or on all."""
    services.receipts_apply()
    sending.deliveries_reap()
    wanted = [channel] if channel else Channel.values
    return {name: sending.channel_send(channel=name).claimed for name in wanted}


@shared_task(base=Doorbell, queue="ring", expires=30)
def reap(**_later: object) -> dict[str, int]:
    """Bring on what dead senders left behind."""
    return sending.deliveries_reap()


@shared_task(base=Doorbell, queue="plan", expires=3600)
def open_days(**_later: object) -> dict[str, int]:
    """Make the partitions of the coming days."""
    return {"days": services.days_open()}
