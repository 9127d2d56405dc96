"""Where a teacher's distribution comes from: checkpoints that run beside the student, or a cache on disk.

A teacher is called with a fairseq batch and the target positions that count, and answers with a `TeacherBatch`.
"""
