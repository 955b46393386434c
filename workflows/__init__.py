"""What must survive a crash. No I/O, no computing beyond a call to the desk."""
