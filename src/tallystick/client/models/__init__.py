""" Contains all the data models used in inputs/outputs """

from .access_view import AccessView
from .address import Address
from .amount_now import AmountNow
from .amount_then import AmountThen
from .attach_payment_method import AttachPaymentMethod
from .attempt_view import AttemptView
from .audit_entry_view import AuditEntryView
from .audit_entry_view_details import AuditEntryViewDetails
from .audit_entry_view_outcome import AuditEntryViewOutcome
from .audit_page import AuditPage
from .cancel_payment import CancelPayment
from .cancel_payment_reason_type_0 import CancelPaymentReasonType0
from .cancel_subscription import CancelSubscription
from .cancel_subscription_reason_type_0 import CancelSubscriptionReasonType0
from .cancel_subscription_when import CancelSubscriptionWhen
from .cancellation_view import CancellationView
from .capture_payment import CapturePayment
from .card_view import CardView
from .change_view import ChangeView
from .change_view_new_values_type_0 import ChangeViewNewValuesType0
from .change_view_old_values_type_0 import ChangeViewOldValuesType0
from .charge_view import ChargeView
from .checkout_session_view import CheckoutSessionView
from .checkout_session_view_metadata import CheckoutSessionViewMetadata
from .confirm_payment import ConfirmPayment
from .create_checkout_session import CreateCheckoutSession
from .create_checkout_session_metadata import CreateCheckoutSessionMetadata
from .create_checkout_session_mode import CreateCheckoutSessionMode
from .create_endpoint import CreateEndpoint
from .create_payment import CreatePayment
from .create_payment_capture_method_type_0 import CreatePaymentCaptureMethodType0
from .create_payment_metadata import CreatePaymentMetadata
from .create_payment_setup_future_usage_type_0 import CreatePaymentSetupFutureUsageType0
from .create_portal_session import CreatePortalSession
from .create_portal_session_flow_type_0 import CreatePortalSessionFlowType0
from .create_price import CreatePrice
from .create_price_metadata import CreatePriceMetadata
from .create_product import CreateProduct
from .create_product_metadata import CreateProductMetadata
from .create_recurring import CreateRecurring
from .create_recurring_interval import CreateRecurringInterval
from .create_refund import CreateRefund
from .create_refund_metadata import CreateRefundMetadata
from .create_refund_reason_type_0 import CreateRefundReasonType0
from .create_subscription import CreateSubscription
from .create_subscription_metadata import CreateSubscriptionMetadata
from .customer_fields import CustomerFields
from .customer_fields_metadata import CustomerFieldsMetadata
from .customer_view import CustomerView
from .customer_view_address_type_0 import CustomerViewAddressType0
from .customer_view_metadata_type_0 import CustomerViewMetadataType0
from .deleted_endpoint import DeletedEndpoint
from .deleted_feature import DeletedFeature
from .delivery_page import DeliveryPage
from .delivery_view import DeliveryView
from .delivery_view_payload import DeliveryViewPayload
from .delivery_view_state import DeliveryViewState
from .difference_page import DifferencePage
from .difference_view import DifferenceView
from .difference_view_cause import DifferenceViewCause
from .difference_view_state import DifferenceViewState
from .dispute_view import DisputeView
from .dunning_view import DunningView
from .endpoint_list import EndpointList
from .endpoint_view import EndpointView
from .endpoint_view_disabled_reason_type_0 import EndpointViewDisabledReasonType0
from .endpoint_with_secret import EndpointWithSecret
from .endpoint_with_secret_disabled_reason_type_0 import EndpointWithSecretDisabledReasonType0
from .entitlement_check import EntitlementCheck
from .entitlement_check_state_type_0 import EntitlementCheckStateType0
from .entitlements_view import EntitlementsView
from .entry_view import EntryView
from .entry_view_details import EntryViewDetails
from .entry_view_kind import EntryViewKind
from .erase_user import EraseUser
from .erasure_view import ErasureView
from .erasure_view_ends import ErasureViewEnds
from .erasure_view_kept import ErasureViewKept
from .erasure_view_removed import ErasureViewRemoved
from .erasure_view_state import ErasureViewState
from .event_type_list import EventTypeList
from .event_type_view import EventTypeView
from .event_type_view_example import EventTypeViewExample
from .export_own_response_200 import ExportOwnResponse200
from .export_user_response_200 import ExportUserResponse200
from .failure_view import FailureView
from .feature_fields import FeatureFields
from .feature_list import FeatureList
from .feature_view import FeatureView
from .figures_view import FiguresView
from .granted_feature_view import GrantedFeatureView
from .granted_feature_view_state import GrantedFeatureViewState
from .granted_product_view import GrantedProductView
from .granted_product_view_state import GrantedProductViewState
from .happening import Happening
from .happening_cause import HappeningCause
from .happening_what import HappeningWhat
from .healthz_response_200 import HealthzResponse200
from .history_page import HistoryPage
from .invoice_page import InvoicePage
from .invoice_view import InvoiceView
from .invoice_view_metadata import InvoiceViewMetadata
from .item_view import ItemView
from .line_view import LineView
from .list_deliveries_state_type_0 import ListDeliveriesStateType0
from .list_differences_cause_type_0 import ListDifferencesCauseType0
from .list_differences_state_type_0 import ListDifferencesStateType0
from .list_invoices_status_type_0 import ListInvoicesStatusType0
from .list_subscriptions_status_type_0 import ListSubscriptionsStatusType0
from .money_period_view import MoneyPeriodView
from .money_report import MoneyReport
from .mrr_period_view import MrrPeriodView
from .mrr_report import MrrReport
from .pause_subscription import PauseSubscription
from .pause_view import PauseView
from .pay_invoice import PayInvoice
from .payment_details import PaymentDetails
from .payment_details_metadata import PaymentDetailsMetadata
from .payment_details_next_action_type_0 import PaymentDetailsNextActionType0
from .payment_method_list import PaymentMethodList
from .payment_method_view import PaymentMethodView
from .payment_page import PaymentPage
from .payment_view import PaymentView
from .payment_view_metadata import PaymentViewMetadata
from .payment_view_next_action_type_0 import PaymentViewNextActionType0
from .pending_item import PendingItem
from .pending_update import PendingUpdate
from .portal_session_view import PortalSessionView
from .preview_line import PreviewLine
from .price_list import PriceList
from .price_view import PriceView
from .price_view_metadata import PriceViewMetadata
from .price_view_transform_quantity_type_0 import PriceViewTransformQuantityType0
from .problem import Problem
from .product_feature import ProductFeature
from .product_feature_fields import ProductFeatureFields
from .product_feature_list import ProductFeatureList
from .product_feature_view import ProductFeatureView
from .product_page import ProductPage
from .product_view import ProductView
from .product_view_metadata import ProductViewMetadata
from .rates_fields import RatesFields
from .rates_fields_rates import RatesFieldsRates
from .rates_view import RatesView
from .rates_view_rates import RatesViewRates
from .readyz_response_200 import ReadyzResponse200
from .receive_stripe_event_body import ReceiveStripeEventBody
from .receive_stripe_event_response_200 import ReceiveStripeEventResponse200
from .reconciliation_view import ReconciliationView
from .reconciliation_view_open_by_cause import ReconciliationViewOpenByCause
from .recurring_view import RecurringView
from .recurring_view_interval_type_0 import RecurringViewIntervalType0
from .refund_view import RefundView
from .refund_view_metadata import RefundViewMetadata
from .report_money_by import ReportMoneyBy
from .report_mrr_by import ReportMrrBy
from .report_subscribers_by import ReportSubscribersBy
from .report_trials_by import ReportTrialsBy
from .resume_subscription import ResumeSubscription
from .run_fields import RunFields
from .run_fields_mode import RunFieldsMode
from .run_view import RunView
from .run_view_mode import RunViewMode
from .run_view_state import RunViewState
from .scheduled_change_view import ScheduledChangeView
from .scheduled_item import ScheduledItem
from .setup_intent_view import SetupIntentView
from .share_view import ShareView
from .subject_view import SubjectView
from .subscriber_period_view import SubscriberPeriodView
from .subscriber_report import SubscriberReport
from .subscription_cost_view import SubscriptionCostView
from .subscription_details import SubscriptionDetails
from .subscription_details_metadata import SubscriptionDetailsMetadata
from .subscription_details_next_action_type_0 import SubscriptionDetailsNextActionType0
from .subscription_page import SubscriptionPage
from .subscription_view import SubscriptionView
from .subscription_view_metadata import SubscriptionViewMetadata
from .subscription_view_next_action_type_0 import SubscriptionViewNextActionType0
from .tier_view import TierView
from .timeline_page import TimelinePage
from .trial_period_view import TrialPeriodView
from .trial_report import TrialReport
from .upcoming_invoice import UpcomingInvoice
from .upcoming_invoice_proration_behavior_type_0 import UpcomingInvoiceProrationBehaviorType0
from .upcoming_invoice_when import UpcomingInvoiceWhen
from .update_endpoint import UpdateEndpoint
from .update_subscription import UpdateSubscription
from .update_subscription_metadata_type_0 import UpdateSubscriptionMetadataType0
from .update_subscription_proration_behavior_type_0 import UpdateSubscriptionProrationBehaviorType0
from .update_subscription_when import UpdateSubscriptionWhen

__all__ = (
    "AccessView",
    "Address",
    "AmountNow",
    "AmountThen",
    "AttachPaymentMethod",
    "AttemptView",
    "AuditEntryView",
    "AuditEntryViewDetails",
    "AuditEntryViewOutcome",
    "AuditPage",
    "CancellationView",
    "CancelPayment",
    "CancelPaymentReasonType0",
    "CancelSubscription",
    "CancelSubscriptionReasonType0",
    "CancelSubscriptionWhen",
    "CapturePayment",
    "CardView",
    "ChangeView",
    "ChangeViewNewValuesType0",
    "ChangeViewOldValuesType0",
    "ChargeView",
    "CheckoutSessionView",
    "CheckoutSessionViewMetadata",
    "ConfirmPayment",
    "CreateCheckoutSession",
    "CreateCheckoutSessionMetadata",
    "CreateCheckoutSessionMode",
    "CreateEndpoint",
    "CreatePayment",
    "CreatePaymentCaptureMethodType0",
    "CreatePaymentMetadata",
    "CreatePaymentSetupFutureUsageType0",
    "CreatePortalSession",
    "CreatePortalSessionFlowType0",
    "CreatePrice",
    "CreatePriceMetadata",
    "CreateProduct",
    "CreateProductMetadata",
    "CreateRecurring",
    "CreateRecurringInterval",
    "CreateRefund",
    "CreateRefundMetadata",
    "CreateRefundReasonType0",
    "CreateSubscription",
    "CreateSubscriptionMetadata",
    "CustomerFields",
    "CustomerFieldsMetadata",
    "CustomerView",
    "CustomerViewAddressType0",
    "CustomerViewMetadataType0",
    "DeletedEndpoint",
    "DeletedFeature",
    "DeliveryPage",
    "DeliveryView",
    "DeliveryViewPayload",
    "DeliveryViewState",
    "DifferencePage",
    "DifferenceView",
    "DifferenceViewCause",
    "DifferenceViewState",
    "DisputeView",
    "DunningView",
    "EndpointList",
    "EndpointView",
    "EndpointViewDisabledReasonType0",
    "EndpointWithSecret",
    "EndpointWithSecretDisabledReasonType0",
    "EntitlementCheck",
    "EntitlementCheckStateType0",
    "EntitlementsView",
    "EntryView",
    "EntryViewDetails",
    "EntryViewKind",
    "EraseUser",
    "ErasureView",
    "ErasureViewEnds",
    "ErasureViewKept",
    "ErasureViewRemoved",
    "ErasureViewState",
    "EventTypeList",
    "EventTypeView",
    "EventTypeViewExample",
    "ExportOwnResponse200",
    "ExportUserResponse200",
    "FailureView",
    "FeatureFields",
    "FeatureList",
    "FeatureView",
    "FiguresView",
    "GrantedFeatureView",
    "GrantedFeatureViewState",
    "GrantedProductView",
    "GrantedProductViewState",
    "Happening",
    "HappeningCause",
    "HappeningWhat",
    "HealthzResponse200",
    "HistoryPage",
    "InvoicePage",
    "InvoiceView",
    "InvoiceViewMetadata",
    "ItemView",
    "LineView",
    "ListDeliveriesStateType0",
    "ListDifferencesCauseType0",
    "ListDifferencesStateType0",
    "ListInvoicesStatusType0",
    "ListSubscriptionsStatusType0",
    "MoneyPeriodView",
    "MoneyReport",
    "MrrPeriodView",
    "MrrReport",
    "PauseSubscription",
    "PauseView",
    "PayInvoice",
    "PaymentDetails",
    "PaymentDetailsMetadata",
    "PaymentDetailsNextActionType0",
    "PaymentMethodList",
    "PaymentMethodView",
    "PaymentPage",
    "PaymentView",
    "PaymentViewMetadata",
    "PaymentViewNextActionType0",
    "PendingItem",
    "PendingUpdate",
    "PortalSessionView",
    "PreviewLine",
    "PriceList",
    "PriceView",
    "PriceViewMetadata",
    "PriceViewTransformQuantityType0",
    "Problem",
    "ProductFeature",
    "ProductFeatureFields",
    "ProductFeatureList",
    "ProductFeatureView",
    "ProductPage",
    "ProductView",
    "ProductViewMetadata",
    "RatesFields",
    "RatesFieldsRates",
    "RatesView",
    "RatesViewRates",
    "ReadyzResponse200",
    "ReceiveStripeEventBody",
    "ReceiveStripeEventResponse200",
    "ReconciliationView",
    "ReconciliationViewOpenByCause",
    "RecurringView",
    "RecurringViewIntervalType0",
    "RefundView",
    "RefundViewMetadata",
    "ReportMoneyBy",
    "ReportMrrBy",
    "ReportSubscribersBy",
    "ReportTrialsBy",
    "ResumeSubscription",
    "RunFields",
    "RunFieldsMode",
    "RunView",
    "RunViewMode",
    "RunViewState",
    "ScheduledChangeView",
    "ScheduledItem",
    "SetupIntentView",
    "ShareView",
    "SubjectView",
    "SubscriberPeriodView",
    "SubscriberReport",
    "SubscriptionCostView",
    "SubscriptionDetails",
    "SubscriptionDetailsMetadata",
    "SubscriptionDetailsNextActionType0",
    "SubscriptionPage",
    "SubscriptionView",
    "SubscriptionViewMetadata",
    "SubscriptionViewNextActionType0",
    "TierView",
    "TimelinePage",
    "TrialPeriodView",
    "TrialReport",
    "UpcomingInvoice",
    "UpcomingInvoiceProrationBehaviorType0",
    "UpcomingInvoiceWhen",
    "UpdateEndpoint",
    "UpdateSubscription",
    "UpdateSubscriptionMetadataType0",
    "UpdateSubscriptionProrationBehaviorType0",
    "UpdateSubscriptionWhen",
)
