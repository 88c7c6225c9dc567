"""Rule packs: cited notice periods, promises, deadlines and limits. ``standards.pack("cn-sgcc").planned_notice``."""

from standards.loader import PackError, UnknownPack, pack, packs
from standards.schema import RulePack

__all__ = ["PackError", "RulePack", "UnknownPack", "pack", "packs"]
