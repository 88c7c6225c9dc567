"""What the tests of the network share: a city, and a way to import texts as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from grid.models import GridImport
from grid.services import import_create, import_run
from tests.factories.grid import SmallCity, small_city

NETWORKS = Path(settings.BASE_DIR).parent / "shared" / "data" / "networks"
needs_networks = pytest.mark.skipif(
    not NETWORKS.exists(), reason=f"development data not found at {NETWORKS}; see CONTRIBUTING.md"
)

Importer = Callable[..., GridImport]

BRANCHES = "code,name,parent\n010,铜城供电局,\n0101,城东分局,010\n"
ELEMENTS = (
    "code,kind,name,branch,parent,ties,is_source,normally_open,lon,lat\n"
    "S1,substation,110kV城东变,010,,,yes,no,109.19,27.72\n"
    "F1,feeder,东风线,0101,S1,,no,no,,\n"
    "F2,feeder,建设线,0101,S1,,no,no,,\n"
    "K1,switch,联络开关,0101,F1,F2,no,yes,,\n"
    "T1,transformer,1号台区,0101,F1,,no,no,109.2,27.73\n"
)
CUSTOMERS = (
    "account_number,name,importance,branch,phone,email\n"
    "A1,陈静,normal,0101,138 0013 8000,chen@example.com\n"
    "A2,单雄信,life_support,0101,+8613800138001;0856-5221234,\n"
)
SERVICE_POINTS = (
    "code,meter_number,account_number,element,address,average_kw\n"
    "SP1,M1,A1,T1,东风路12号,0.5\nSP2,M2,A2,T1,东风路13号,1.25\nSP3,M3,A2,F2,建设路1号,2\n"
)
CITY = {"b.csv": BRANCHES, "e.csv": ELEMENTS, "c.csv": CUSTOMERS, "s.csv": SERVICE_POINTS}


@pytest.fixture
def city(db: None) -> SmallCity:
    return small_city()


@pytest.fixture
def import_texts(db: None, tmp_path: Path) -> Importer:
    """Import texts (or bytes) as files of these names."""

    def run(
        files: dict[str, str | bytes],
        *,
        apply: bool = True,
        source_format: str = "csv",
        source: str = "",
        branch_code: str = "",
    ) -> GridImport:
        paths = []
        for name, content in files.items():
            path = tmp_path / name
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            paths.append(path)
        grid_import = import_create(
            file_names=list(files), source_format=source_format, by="asha", source=source, branch_code=branch_code
        )
        import_run(grid_import=grid_import, paths=paths, apply=apply)
        grid_import.refresh_from_db()
        return grid_import

    return run
