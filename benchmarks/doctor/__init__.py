"""The proof of the doctor: data sets, networks, planted faults, healthy runs. ``benchmarks.doctor_proof`` runs it."""
