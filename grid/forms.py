"""Upload of network files."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from grid.models import Branch

MAX_FILES = 20
MAX_UPLOAD = 2 * 1024**3


class _FilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class _FilesField(forms.FileField):
    widget = _FilesInput

    def clean(self, data: Any, initial: Any = None) -> list[UploadedFile[bytes]]:
        single = super().clean
        files = data if isinstance(data, list | tuple) else [data]
        return [single(file, initial) for file in files]


class GridImportForm(forms.Form):
    """Which files, in which format, for which branch."""

    FORMATS = (
        ("csv", _("CSV tables")),
        ("cim", _("CIM XML")),
    )  # an OpenDSS script may read any file: command line only

    files = _FilesField(  # type: ignore[assignment]  # the name is also that of what was uploaded
        label=_("Files"), widget=_FilesInput(attrs={"accept": ".csv,.xml,.gz"})
    )
    source_format = forms.ChoiceField(label=_("Format"), choices=FORMATS)
    branch = forms.ModelChoiceField(
        label=_("Branch"),
        queryset=Branch.objects.order_by("pos", "code"),
        required=False,
        help_text=_("For CIM networks; without it a branch with the network's name is made."),
    )
    source = forms.CharField(
        label=_("Origin"),
        max_length=64,
        required=False,
        validators=[RegexValidator(r"^[\w.:+ -]*$")],
        help_text=_(
            "Rows of the same origin that are missing from the files are removed. Default: the network's name."
        ),
    )

    def clean_files(self) -> list[UploadedFile[bytes]]:
        files: list[UploadedFile[bytes]] = self.cleaned_data["files"]
        if len(files) > MAX_FILES:
            raise forms.ValidationError(_("At most %(n)s files at once."), params={"n": MAX_FILES})
        limit = int(getattr(settings, "IMPORT_UPLOAD_LIMIT", MAX_UPLOAD))
        if sum(file.size or 0 for file in files) > limit:
            raise forms.ValidationError(_("Together the files may have %(n)s MB."), params={"n": limit // 1024**2})
        return files

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for file in cleaned.get("files", []):
            start = file.read(512)
            file.seek(0)
            is_markup = start.startswith(b"\x1f\x8b") or start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<")
            if is_markup != (cleaned.get("source_format") == "cim"):  # told by content, not by the name
                self.add_error(
                    "files",
                    forms.ValidationError(_("“%(name)s” is not of the chosen format."), params={"name": file.name}),
                )
        return cleaned
