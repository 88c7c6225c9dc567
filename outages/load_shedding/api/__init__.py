"""REST interface of load shedding: what SCADA tells, and what is published."""
