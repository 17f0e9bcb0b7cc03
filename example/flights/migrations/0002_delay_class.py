"""A column for a question that came up later, still empty: ClassifyDelays fills it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("flights", "0001_tables")]

    operations = [
        migrations.AddField(
            model_name="flight",
            name="delay_class",
            field=models.CharField(
                blank=True,
                choices=[
                    ("early", "Early"),
                    ("on time", "On Time"),
                    ("late", "Late"),
                    ("very late", "Very Late"),
                    ("diverted", "Diverted"),
                    ("cancelled", "Cancelled"),
                ],
                default="",
                max_length=9,
            ),
        ),
    ]
