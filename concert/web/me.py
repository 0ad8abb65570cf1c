from concert.web.door import new_pages

pages = new_pages("me")
