"""``make bench``: every measure that belongs to the present state, one after another."""

from bench import masks, sync

if __name__ == "__main__":
    sync.main()
    masks.main(500_000)
