"""The lab: from recordings to a model that plays. Needs torch and scipy (the ``lab`` extra); playing never imports it."""
