"""``make bench``: every measure that belongs to the present state, one after another."""

from bench import airflow_job, jobs, masks, memory, sync

if __name__ == "__main__":
    sync.main()
    masks.main(500_000)
    jobs.main()
    memory.main()
    airflow_job.main()
