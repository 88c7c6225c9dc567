from django.urls import path

from outages import views

app_name = "outages"

urlpatterns = [
    path("", views.home, name="home"),
    path("board/", views.board_page, name="board"),
    path("board/outages.csv", views.board_csv, name="board-csv"),
    path("board/map.geojson", views.board_geojson, name="board-geojson"),
    path("board/network.geojson", views.network_geojson, name="network-geojson"),
    path("outages/<str:reference>/", views.detail, name="detail"),
    path("outages/<str:reference>/notes/", views.note_create, name="note-create"),
]
