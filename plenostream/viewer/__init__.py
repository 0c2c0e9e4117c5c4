"""Looking around in a scene with a browser: `plenostream view`.

::

    browser --messages--> server --> visitor: what it wants to see      (one for each browser)
                                        |
    browser <--pictures-- server <-- painter: one renderer, the visitors in turns

One port serves the page and a WebSocket. The page holds the camera and sends views; a view that
moves gets one coarse picture, one that rests is drawn in full resolution, patch by patch, and given up
when the camera moves again. `docs/viewer.md` says how it is used, and what is checked.
"""
