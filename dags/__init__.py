"""When jobs run: Airflow's view of the declared jobs. The only package that imports Airflow."""
