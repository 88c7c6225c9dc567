# syntax=docker/dockerfile:1
# Stage 1 builds the virtual environment and collects what is static; stage 2 carries only what runs.
FROM python:3.12-slim AS build

ENV PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN apt-get update \
    && apt-get install -y --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY requirements/run.txt requirements/run.txt
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/run.txt
COPY . .
# collectstatic asks the settings, and these ask for servers: the addresses are never connected to
RUN /venv/bin/pybabel -q compile -i locale/zh_Hans/LC_MESSAGES/django.po -o locale/zh_Hans/LC_MESSAGES/django.mo -l zh_Hans \
    && SECRET_KEY=build DATABASE_URL=postgres://build/build REDIS_URL=redis://build STATIC_ROOT=/app/staticfiles \
       /venv/bin/python manage.py collectstatic --noinput

FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/venv/bin:$PATH STATIC_ROOT=/app/staticfiles DATA_DIR=/data
RUN groupadd --system --gid 10001 outage && useradd --system --uid 10001 --gid outage --home-dir /data outage \
    && install -d -o outage -g outage /data
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
USER outage
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["uvicorn", "outage_mgmt.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-server-header"]
