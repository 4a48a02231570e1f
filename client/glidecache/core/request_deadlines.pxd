cpdef long long reply_deadline_ns(long long deadline_ns, long long now_ns)
