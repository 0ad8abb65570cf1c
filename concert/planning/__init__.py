"""Before the sale, and corrections during it: making, copying, changing and hiding concerts and dates."""
